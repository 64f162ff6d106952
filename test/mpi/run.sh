#!/usr/bin/env bash
# Trains on two ranks, each in a network namespace of its own, and compares the bytes with those of two
# replicas. The only way between the ranks is a virtual link (veth), so this machine is two hosts to MPI.
#   bash test/mpi/run.sh [RATE] [FLAGS OF shake train]
# RATE, such as 1gbit, limits each direction of the link (tc, token bucket). Needs root, iproute2, Open MPI and
# the compiled package; where one of them is missing, it says so and ends with 0.
set -euo pipefail

skip() {
  echo "skipped: two ranks in network namespaces need $1"
  exit 0
}

rate=
if [[ "${1:-}" =~ ^[0-9.]+[kmg]?bit$ ]]; then
  rate=$1
  shift
fi
flags=("$@")
if ((${#flags[@]} == 0)); then
  flags=(--width 8 --train-limit 320 --test-limit 64 --epochs 2 --batch-size 64)
fi

((EUID == 0)) || skip "root"
for program in ip tc unshare mpirun node; do
  command -v "$program" >/dev/null || skip "$program"
done
mpirun --version | grep -q "Open MPI" || skip "Open MPI's mpirun"
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
main=$here/../../dist/cli/main.js
[[ -f $main ]] || skip "the compiled package: npm run build"

hosts=("shake-a-$$" "shake-b-$$")
links=("va$$" "vb$$")
network=10.249.7
folder=$(mktemp -d)
cleanup() {
  for host in "${hosts[@]}"; do
    ip netns pids "$host" 2>/dev/null | xargs -r kill -KILL 2>/dev/null || true
    ip netns delete "$host" 2>/dev/null || true
  done
  rm -rf "$folder"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

for host in "${hosts[@]}"; do
  ip netns add "$host" 2>"$folder/refusal" || skip "network namespaces ($(cat "$folder/refusal"))"
done
ip link add "${links[0]}" netns "${hosts[0]}" type veth peer name "${links[1]}" netns "${hosts[1]}" \
  2>"$folder/refusal" || skip "a virtual link ($(cat "$folder/refusal"))"
for i in 0 1; do
  ip -n "${hosts[i]}" address add "$network.$((i + 1))/24" dev "${links[i]}"
  ip -n "${hosts[i]}" link set lo up
  ip -n "${hosts[i]}" link set "${links[i]}" up
  if [[ -n $rate ]]; then
    tc -n "${hosts[i]}" qdisc add dev "${links[i]}" root tbf rate "$rate" burst 256kb latency 50ms
  fi
done

sent() {
  ip netns exec "${hosts[0]}" cat "/sys/class/net/${links[0]}/statistics/tx_bytes"
}

cd "$folder"
export SHAKE_SECOND_HOST=${hosts[1]}
command=(node "$main" train --threads 1 --json "${flags[@]}" --run-dir)
before=$(sent)
ip netns exec "${hosts[0]}" unshare --uts sh -c 'hostname "$1"; shift; exec "$@"' sh "${hosts[0]}" \
  mpirun --allow-run-as-root -n 2 --host "$network.1:1,$network.2:1" --bind-to none \
  --mca plm_rsh_agent "$here/agent.sh" --mca pml ob1 --mca btl tcp,self \
  --mca btl_tcp_if_include "$network.0/24" --mca oob_tcp_if_include "$network.0/24" \
  "${command[@]}" ranks >ranks.json
after=$(sent)
"${command[@]}" replicas --replicas 2 >replicas.json 2>replicas.log || {
  cat replicas.log
  exit 1
}

for file in model.onnx checkpoints/last checkpoints/best; do
  cmp "ranks/$file" "replicas/$file"
done
node -e '
  const { communication } = JSON.parse(require("fs").readFileSync("ranks.json", "utf8"));
  const { hosts, steps, bytes_sent_per_step } = communication;
  const crossed = Number(process.argv[1]);
  if (hosts !== 2) throw new Error(`MPI sees ${hosts} hosts`);
  if (!(crossed > steps * bytes_sent_per_step)) throw new Error(`${crossed} bytes crossed the link`);
  console.log(`the first host sent ${crossed} bytes over the link`);
' "$((after - before))"
echo "two ranks on two hosts gave the bytes of two replicas${rate:+, at $rate}"
