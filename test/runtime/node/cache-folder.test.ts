import { readdirSync, utimesSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { cacheFolder, shrinkCache, touch } from "../../../runtime/node/cache-folder.ts";
import { writeFiles } from "../../support/picture-folder.ts";
import { temporaryFolder } from "../../support/shake.ts";

const cache = temporaryFolder();

describe("cacheFolder", () => {
  test("is SHAKE_CACHE_DIR before all others", () => {
    expect(cacheFolder({ SHAKE_CACHE_DIR: "/big", XDG_CACHE_HOME: "/xdg" }, "linux", "/home/me")).toBe(
      "/big",
    );
  });

  test.each([
    ["linux", { XDG_CACHE_HOME: "/xdg" }, ["/xdg", "shakenet"]],
    ["linux", {}, ["/home/me", ".cache", "shakenet"]],
    ["darwin", {}, ["/home/me", "Library", "Caches", "shakenet"]],
    ["win32", { LOCALAPPDATA: "/local" }, ["/local", "shakenet"]],
    ["win32", {}, ["/home/me", "AppData", "Local", "shakenet"]],
  ])("on %s with %j is in the user's own place for caches", (platform, environment, path) => {
    expect(cacheFolder(environment, platform, "/home/me")).toBe(join(...path));
  });
});

test("shrinkCache removes what was not used for the longest time, and never the entry to keep", async () => {
  const ages = { oldest: 4, old: 3, new: 2, newest: 1 };
  for (const [name, age] of Object.entries(ages)) {
    writeFiles(cache, { [name]: new Uint8Array(100) });
    utimesSync(join(cache, name), 1000 - age, 1000 - age);
  }
  await touch(join(cache, "oldest"));
  await shrinkCache(cache, 350, join(cache, "newest"));
  expect(readdirSync(cache).sort()).toEqual(["new", "newest", "oldest"]);
  await shrinkCache(cache, 10, join(cache, "newest"));
  expect(readdirSync(cache)).toEqual(["newest"]);
});
