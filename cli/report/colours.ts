/**
 * The colours of training and of the part that is measured, in charts of all kinds: those of the page
 * (web/style.css, --training and --test).
 */
export const lineColours = {
  light: { training: "#2a64cf", measured: "#c2570c" },
  dark: { training: "#7aa7ff", measured: "#f29d5c" },
} as const;
