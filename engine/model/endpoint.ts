// How one endpoint of one upstream is named: `namespace/service@version/address:port`, IPv6 addresses in brackets.

export interface Address {
  readonly address: string;
  readonly port: number;
}

/** `address:port` */
export const endpointName = ({ address, port }: Address): string =>
  address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;

export const endpointId = (upstream: string, endpoint: Address): string =>
  `${upstream}/${endpointName(endpoint)}`;

/** `namespace/service@version` of an endpoint. */
export const upstreamOf = (endpoint: string): string =>
  endpoint.slice(0, endpoint.lastIndexOf('/'));
