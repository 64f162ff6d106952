import { expect, test } from "vitest";
import { datasets } from "../../runtime/data/dataset.ts";
import { checkSettings } from "../../runtime/node/run/schema.ts";
import { withEarlierSettings } from "../../shakenet/node/earlier-settings.ts";
import { recipeNames, settingsOfRecipe, withRecipe } from "../../shakenet/node/recipes.ts";
import { reproducingCommand } from "../../shakenet/node/reproducing.ts";
import {
  type GivenRun,
  type RunSettingName,
  runConfig,
  runConfigIn,
  runSchemas,
} from "../../shakenet/node/run-config.ts";

/** The settings in a command, as the command line reads them. */
function settingsIn(command: string): GivenRun {
  const pairs = command.split(" --").slice(1);
  const raw = Object.fromEntries(
    pairs.map((pair): [string, unknown] => {
      const [name = "", value = ""] = pair.split(" ");
      return [
        name,
        value === "true" || (value !== "" && Number.isFinite(Number(value))) ? JSON.parse(value) : value,
      ];
    }),
  );
  return checkSettings(runSchemas, raw, { label: (name) => name, what: "a setting" });
}

test.each(recipeNames)(
  "the settings of the recipe %s are settings of a run, and those given win",
  (recipe) => {
    const settings = settingsOfRecipe(recipe);
    expect(runConfig(withRecipe({ recipe }))).toMatchObject({ recipe, ...settings });
    const own = { recipe, depth: 20, epochs: 3 };
    expect(runConfig(withRecipe(own))).toMatchObject({ ...settings, ...own });
  },
);

test("a run without a recipe has the settings that it always had", () => {
  expect(withRecipe({ depth: 14 })).toEqual({ depth: 14 });
  expect(runConfig({})).not.toHaveProperty("earlySize", expect.anything());
});

test("what a recipe says falls away where it needs a setting that another one was given for", () => {
  const plain = withRecipe({ recipe: "fast", optimizer: "sgd-nesterov", learningRate: 2 });
  expect(plain).not.toHaveProperty("sgdRate");
  expect(plain).not.toHaveProperty("sgdDecay");
  expect(runConfig(plain)).toMatchObject({ optimizer: "sgd-nesterov", learningRate: 2, earlySize: 24 });
  const whole = withRecipe({ recipe: "fast", optimizer: "sgd-nesterov", stepsPerCall: 8 });
  expect(whole.earlySize).toBeUndefined();
  expect(() => runConfig(withRecipe({ recipe: "fast", optimizer: "adamw", sgdRate: 3 }))).toThrow(
    "--sgd-rate needs --optimizer muon.",
  );
  expect(() => runConfig({ sgdDecay: 0.1 })).toThrow("--sgd-decay needs --optimizer muon.");
  expect(() => runConfig(withRecipe({ recipe: "fast", stepsPerCall: 8 }))).toThrow(
    "--optimizer muon does not go with --steps-per-call",
  );
});

test.each<GivenRun>([
  { data: "cifar10", recipe: "fast" },
  { data: "cifar10", recipe: "fast", depth: 14, batchSize: 64, earlySize: 16, earlyShare: 0.25, seed: 3 },
  { data: "cifar10", recipe: "paper", epochs: 10 },
  { recipe: "fast", optimizer: "sgd-nesterov", learningRate: 2, tta: true },
])("the command that repeats a run of $recipe names every setting, and gives the same run", (given) => {
  const config = runConfig(withRecipe({ ...given, replicas: 2 }));
  const command = reproducingCommand(config);
  const named = settingsIn(command);
  for (const name of Object.keys(settingsOfRecipe(config.recipe ?? "paper"))) {
    if (config[name as RunSettingName] !== undefined) expect(named).toHaveProperty(name);
  }
  expect(runConfig(withRecipe(named))).toEqual(config);
});

test("the command that repeats a run has a folder in quotes where a shell would divide its name", () => {
  const { size, mean, std } = datasets.shapes;
  const pictures = { classNames: ["cat", "dog"], size, mean, std, background: [255, 255, 255] };
  const config = runConfig({ data: "/my photos", replicas: 1, depth: 14 }, pictures);
  expect(reproducingCommand(config)).toMatch(/^shake train --depth 14 --data '\/my photos'/);
});

test("a config.json keeps the settings of its run, whatever its recipe says by now", () => {
  const config = runConfig(withRecipe({ recipe: "fast", replicas: 2 }));
  const { earlySize: _, ...older } = config;
  expect(runConfigIn(JSON.parse(JSON.stringify(older)), "config.json").earlySize).toBeUndefined();
  expect(runConfigIn(JSON.parse(JSON.stringify(config)), "config.json")).toEqual(config);
});

test("the command of a run whose rate a resume changed says after which step it was stopped", () => {
  const own = runConfig({ epochs: 4, replicas: 2 });
  const properties = new Map([["epoch", 1n]]);
  const checkpoint = { trainable: new Map(), frozen: new Map(), properties };
  const optimizer = { step: 120, initialLearningRate: 0.1, momenta: new Map() };
  const config = withEarlierSettings(own, { ...own, learningRate: 0.02 }, { ...checkpoint, optimizer });
  expect(reproducingCommand(config)).toBe(
    "shake train --data shapes --replicas 2 --run-dir runs/repeated && shake train --resume runs/repeated --learning-rate 0.02 # stopped after step 120",
  );
  expect(runConfigIn(JSON.parse(JSON.stringify(config)), "config.json")).toEqual(config);
  expect(() => runConfigIn({ earlier: [{ epochs: 0 }] }, "config.json")).toThrow(/earlier in config\.json/);
});
