/** An IPv4 or IPv6 address, or a block of them in CIDR notation. */
export const isAddressBlock = (text: string): boolean => {
  const [address = '', length, ...rest] = text.split('/');
  if (rest.length > 0) return false;
  const bits = isIpv4(address) ? 32 : 128;
  if (bits === 128 && !isIpv6(address)) return false;
  return length === undefined || (/^\d{1,3}$/.test(length) && Number(length) <= bits);
};

const isIpv4 = (text: string): boolean => {
  const parts = text.split('.');
  return (
    parts.length === 4 && parts.every((part) => /^(0|[1-9]\d{0,2})$/.test(part) && +part < 256)
  );
};

const isIpv6 = (text: string): boolean => {
  const last = text.slice(text.lastIndexOf(':') + 1);
  // An IPv4 tail stands for two groups.
  const groups = isIpv4(last) ? `${text.slice(0, -last.length)}0:0` : text;
  const halves = groups.split('::');
  if (halves.length > 2) return false;
  const parts = halves.flatMap((half) => (half === '' ? [] : half.split(':')));
  if (!parts.every((part) => /^[0-9a-fA-F]{1,4}$/.test(part))) return false;
  return halves.length === 2 ? parts.length < 8 : parts.length === 8;
};
