import { formatTable } from "../../format.ts";

/** The numbers of hosts, and the speeds of their network in Gbit/s, that are projected. */
const [COUNTS, SPEEDS] = [
  [2, 4, 8, 16, 32, 64],
  [1, 10],
] as const;

/** The exchanges of a step: two for gradients, two for its outputs, and two for the wish to stop. */
const EXCHANGES = 6;

/** The assumed seconds from one host to another for a small message by MPI over TCP. */
const LATENCY = 100e-6;

/** What a step is on one host. */
export interface HostStep {
  /** The time of a step without other hosts. */
  readonly seconds: number;
  /** The parameters that are trained, each of which has a gradient of four bytes. */
  readonly parameters: number;
}

/**
 * The seconds of a step's exchanges. Each host sends each other one its part of the gradients, and then the
 * sum of its own part (`sumOverRanks`): 2 (hosts - 1) / hosts times the bytes of the gradients, as a ring
 * does, with two latencies where a ring has 2 (hosts - 1). All messages of an exchange are under way at once.
 */
export function exchangeSeconds({ parameters }: HostStep, hosts: number, bitsPerSecond: number): number {
  return (8 * bytesSent(parameters, hosts)) / bitsPerSecond + EXCHANGES * LATENCY;
}

function bytesSent(parameters: number, hosts: number): number {
  return (2 * (hosts - 1) * parameters * Float32Array.BYTES_PER_ELEMENT) / hosts;
}

/**
 * The projected cost of training on 2 to 64 hosts, each of which keeps its batch (weak scaling). The
 * efficiency is the share of a step's time in which hosts compute: nothing is exchanged while they do.
 */
export function projectHosts(step: HostStep) {
  return {
    seconds_per_step: step.seconds,
    gradient_bytes: Float32Array.BYTES_PER_ELEMENT * step.parameters,
    latency_seconds: LATENCY,
    exchanges: EXCHANGES,
    rows: COUNTS.map((hosts) => ({
      hosts,
      bytes_sent_per_step: bytesSent(step.parameters, hosts),
      networks: SPEEDS.map((gbit) => {
        const exchange = exchangeSeconds(step, hosts, 1e9 * gbit);
        return {
          gbit_per_second: gbit,
          exchange_seconds: exchange,
          efficiency: step.seconds / (step.seconds + exchange),
        };
      }),
    })),
  };
}

/** The projection as a table, with what it assumes. */
export function describeHosts({ rows, latency_seconds }: ReturnType<typeof projectHosts>): string {
  const cells = rows.map(({ hosts, bytes_sent_per_step, networks }) => [
    String(hosts),
    (bytes_sent_per_step / 1e6).toPrecision(3),
    ...networks.flatMap(({ exchange_seconds, efficiency }) => [
      (1000 * exchange_seconds).toPrecision(3),
      `${(100 * efficiency).toFixed(1)} %`,
    ]),
  ]);
  const speeds = SPEEDS.flatMap((gbit) => [`ms at ${gbit} Gbit/s`, "efficiency"]);
  return [
    "Projected, not measured: hosts like this one, each with this batch, on an otherwise idle network,",
    `${EXCHANGES} exchanges a step with a latency of ${1e6 * latency_seconds} microseconds each.`,
    "",
    formatTable(["hosts", "MB sent a step", ...speeds], cells),
  ].join("\n");
}
