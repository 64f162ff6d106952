import { checkGraph, observePasses } from "../../graph-builder/index.ts";

// checks every graph that a pass returns in a test
observePasses(({ name }) => (result) => {
  try {
    checkGraph(result);
  } catch (error) {
    throw new Error(
      `the pass ${name} made a broken graph: ${error instanceof Error ? error.message : error}`,
      { cause: error },
    );
  }
});
