/**
 * The name of this project: what it writes as the producer of its models, and the folder of what it
 * downloads.
 */
export const projectName = "shakenet";
