/** What PyTorch calls the running statistics of batch normalisation, in the order of its inputs. */
export const statisticNames = ["running_mean", "running_var"] as const;

/** The dotted name of a layer by its node: `layer1.bn1` for the node `/layer1/bn1/BatchNormalization`. */
export function layerName({ name, opType }: { readonly name: string; readonly opType: string }): string {
  const scopes = name.split("/").filter((scope) => scope !== "");
  if (scopes.length > 1 && scopes.at(-1)?.startsWith(opType)) scopes.pop();
  return scopes.join(".");
}
