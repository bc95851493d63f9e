// Patterns run on the request path, so one that can take long is refused before anybody serves it.
export const MAX_PATTERN = 1024;

/** Why the pattern must not be used, or undefined. */
export const regexObjection = (pattern: string): string | undefined => {
  if (pattern.length > MAX_PATTERN) return `is longer than ${MAX_PATTERN} characters`;
  try {
    new RegExp(`^(?:${pattern})$`);
  } catch (error) {
    return `is invalid: ${error instanceof Error ? error.message : 'unknown reason'}`;
  }
  return undefined;
};
