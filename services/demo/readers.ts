// The readers of the library: which pages they ask for, in which proportions.

export interface ReaderRequest {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  readonly body?: string;
}

type Ask = readonly [weight: number, make: (random: () => number) => ReaderRequest];

const get = (path: string): ReaderRequest => ({ method: 'GET', path });
const book = (random: () => number) => `book-${1 + Math.floor(random() * 5)}`;

const asks: readonly Ask[] = [
  [35, () => get('/catalog/books')],
  [25, (random) => get(`/catalog/books/${book(random)}`)],
  [15, () => get('/api/v1/books?limit=3')],
  [10, () => get('/catalog/authors')],
  [5, () => get('/library/shelves')],
  [5, () => get('/library/bookcases')],
  [5, () => get('/circulation/checkouts')],
];

const total = asks.reduce((sum, [weight]) => sum + weight, 0);

export const nextRequest = (random: () => number): ReaderRequest => {
  let rest = random() * total;
  for (const [weight, make] of asks) {
    rest -= weight;
    if (rest < 0) return make(random);
  }
  return get('/catalog/books');
};
