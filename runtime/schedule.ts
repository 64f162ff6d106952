/**
 * The learning rate of a half cosine from `peak` to 0 without restart: 0.5 peak (1 + cos(pi step / totalSteps)), for a step from 0 to totalSteps.
 * The author counts the steps from 1, so that the last one is taken at exactly 0 (xgastaldi/shake-shake, train.lua: learningRateCosine).
 */
export function cosineLearningRate(peak: number, step: number, totalSteps: number): number {
  return 0.5 * peak * (1 + Math.cos((Math.PI * step) / totalSteps));
}
