/**
 * The learning rate of a half cosine without restart: 0.5 peak (1 + cos(pi step / totalSteps)), step from 0 to totalSteps.
 * The author counts steps from 1, so the last one is taken at a rate of 0 (xgastaldi/shake-shake, train.lua:
 * learningRateCosine).
 */
export function cosineLearningRate(peak: number, step: number, totalSteps: number): number {
  return 0.5 * peak * (1 + Math.cos((Math.PI * step) / totalSteps));
}
