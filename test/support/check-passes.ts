import { checkGraph, observePasses } from "../../graph-builder/index.ts";

// every graph that a pass makes in a test must be whole
observePasses(({ name }) => (result) => {
  try {
    checkGraph(result);
  } catch (error) {
    throw new Error(`the pass ${name} made a broken graph: ${(error as Error).message}`, { cause: error });
  }
});
