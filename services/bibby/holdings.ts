// What the three services of the Bibby library hold at start.

import { type Collection, createCollection } from './collection.ts';
import type { ServiceName } from './config.ts';

/** Collections by path segment: `books` answers `/books` and `/api/v1/books`. */
export type Holdings = ReadonlyMap<string, Collection>;

const authors = [
  { id: 'author-1', name: 'Ursula K. Le Guin', born: 1929 },
  { id: 'author-2', name: 'Jorge Luis Borges', born: 1899 },
  { id: 'author-3', name: 'Mary Shelley', born: 1797 },
  { id: 'author-4', name: 'Italo Calvino', born: 1923 },
];

const books = [
  { id: 'book-1', title: 'The Dispossessed', author: 'author-1', year: 1974, shelf: 'shelf-1' },
  { id: 'book-2', title: 'A Wizard of Earthsea', author: 'author-1', year: 1968, shelf: 'shelf-1' },
  { id: 'book-3', title: 'Ficciones', author: 'author-2', year: 1944, shelf: 'shelf-2' },
  { id: 'book-4', title: 'Frankenstein', author: 'author-3', year: 1818, shelf: 'shelf-3' },
  { id: 'book-5', title: 'Invisible Cities', author: 'author-4', year: 1972, shelf: 'shelf-4' },
];

const bookcases = [
  { id: 'bookcase-1', name: 'Reading room, north wall', shelves: 2 },
  { id: 'bookcase-2', name: 'Gallery', shelves: 2 },
];

const shelves = [
  { id: 'shelf-1', bookcase: 'bookcase-1', capacity: 40 },
  { id: 'shelf-2', bookcase: 'bookcase-1', capacity: 40 },
  { id: 'shelf-3', bookcase: 'bookcase-2', capacity: 25 },
  { id: 'shelf-4', bookcase: 'bookcase-2', capacity: 25 },
];

const checkouts = [
  { id: 'checkout-1', book: 'book-3', reader: 'alice', due: '2030-01-15' },
  { id: 'checkout-2', book: 'book-4', reader: 'bob', due: '2030-01-22' },
];

/** From v1.1 on the catalog also says in which formats a book can be borrowed. */
const withFormats = (version: string) =>
  version === 'v1.0' ? books : books.map((book) => ({ ...book, formats: ['print', 'audio'] }));

export const holdingsOf = (service: ServiceName, version: string): Holdings => {
  switch (service) {
    case 'catalog':
      return new Map([
        [
          'books',
          createCollection({
            noun: 'book',
            items: withFormats(version),
            required: ['title', 'author'],
          }),
        ],
        ['authors', createCollection({ noun: 'author', items: authors, required: ['name'] })],
      ]);
    case 'library':
      return new Map([
        ['bookcases', createCollection({ noun: 'bookcase', items: bookcases, required: ['name'] })],
        ['shelves', createCollection({ noun: 'shelf', items: shelves, required: ['bookcase'] })],
      ]);
    case 'circulation':
      return new Map([
        [
          'checkouts',
          createCollection({ noun: 'checkout', items: checkouts, required: ['book', 'reader'] }),
        ],
      ]);
  }
};
