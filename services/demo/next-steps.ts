// What to try while the demo stays up.
export const nextSteps = (port: number): string => `
Weir stays up; Ctrl-C stops everything. Try in another terminal:

  curl -H "Host: api.bibby.com" -H "Authorization: Bearer $(npx weir token)" localhost:${port}/catalog/books
  npx weir status                          # who enforces which revision
  npx weir rollout status                  # how the new version came here, step by step
  npx weir explain GET http://api.bibby.com/catalog/books
  npx weir events                          # live; now change something below
  npx weir apply -f policies/ --wait       # after you have edited a file there
  npx weir history                         # who changed what; weir rollback N takes it back
  npx weir check                           # what is wrong with this installation
`;
