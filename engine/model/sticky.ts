// Callers that stay with their version fall into groups, by where they stand in the split. What is counted of a group says
// how alike callers are without naming any.
export const stickyGroups = 256;

/** `point` is from 0 to 1. */
export const stickyGroupOf = (point: number): number =>
  Math.min(stickyGroups - 1, Math.floor(point * stickyGroups));
