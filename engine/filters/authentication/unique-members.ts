// JSON.parse keeps the last of two members with one name; another reader may keep the first. So tokens may not have any.

/** `text` is valid JSON. */
export const hasUniqueMembers = (text: string): boolean => {
  const open: (Set<string> | undefined)[] = [];
  let expectsName = false;
  for (let i = 0; i < text.length; i += 1) {
    switch (text.charAt(i)) {
      case '{':
        open.push(new Set());
        expectsName = true;
        break;
      case '[':
        open.push(undefined);
        expectsName = false;
        break;
      case '}':
      case ']':
        open.pop();
        expectsName = false;
        break;
      case ',':
        expectsName = open.at(-1) !== undefined;
        break;
      case '"': {
        const end = endOfString(text, i);
        const names = open.at(-1);
        if (expectsName && names !== undefined) {
          const name = JSON.parse(text.slice(i, end + 1)) as string;
          if (names.has(name)) return false;
          names.add(name);
          expectsName = false;
        }
        i = end;
        break;
      }
      default:
    }
  }
  return true;
};

const endOfString = (text: string, start: number): number => {
  let i = start + 1;
  while (text[i] !== '"') i += text[i] === '\\' ? 2 : 1;
  return i;
};
