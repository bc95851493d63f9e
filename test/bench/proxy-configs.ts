// The same work for the peers, in their own words.

export const ISSUER = 'https://id.bibby.com';

const book = JSON.stringify({
  id: 1,
  title: 'The Go Programming Language',
  available: true,
  branch: 'central',
  copies: 3,
  isbn: '9780134190440',
  tags: ['go', 'programming'],
  rating: 4.7,
});

const preamble = (folder: string, name: string): string => `
worker_processes 1; daemon off; pid ${folder}/${name}.pid; error_log ${folder}/${name}.log;
events { worker_connections 8192; multi_accept on; }`;

const keepAlive = 'access_log off; keepalive_requests 100000000; keepalive_timeout 300s;';

export const backend = (folder: string, port: number): string => `${preamble(folder, 'backend')}
http { ${keepAlive} client_body_temp_path ${folder}/backend-body;
  server { listen 127.0.0.1:${port} backlog=4096;
    location / { default_type application/json; return 200 '${book}'; } } }
`;

export interface PeerTls {
  readonly certificateFile: string;
  readonly keyFile: string;
  /** Both in one file. */
  readonly pem: string;
  readonly http2: boolean;
}

export interface PeerOptions {
  readonly folder: string;
  readonly port: number;
  readonly backend: number;
  readonly tls?: PeerTls;
  /** Routes beside the one that is asked for. */
  readonly moreRoutes?: number;
  /** HTTP/2 in clear text on both sides. */
  readonly grpc?: boolean;
  readonly webSocket?: boolean;
}

const proxyTo = ({ grpc, webSocket }: PeerOptions): string => {
  if (grpc)
    return 'grpc_pass grpc://catalog; grpc_set_header X-Forwarded-For $proxy_add_x_forwarded_for; grpc_set_header X-Request-ID $request_id;';
  const connection = webSocket
    ? 'proxy_set_header Connection upgrade; proxy_set_header Upgrade $http_upgrade;'
    : 'proxy_set_header Connection "";';
  return `proxy_pass http://catalog; proxy_http_version 1.1; ${connection}
      proxy_set_header Host $host; proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
      proxy_set_header X-Forwarded-Proto $scheme; proxy_set_header X-Forwarded-Host $host;
      proxy_set_header X-Request-ID $request_id;`;
};

export const nginx = (options: PeerOptions): string => {
  const { folder, port, tls, grpc, moreRoutes = 0 } = options;
  const locations = Array.from(
    { length: moreRoutes },
    (_, i) => `location /service-${i}/v1/ { ${proxyTo(options)} }`,
  );
  const speaks = `${tls ? ' ssl' : ''}${grpc || tls?.http2 ? ' http2' : ''}`;
  return `${preamble(folder, 'nginx')}
http { ${keepAlive} client_body_temp_path ${folder}/nginx-body; proxy_temp_path ${folder}/nginx-proxy;
  client_body_buffer_size 64k; http2_max_concurrent_streams 1000;
  upstream catalog { server 127.0.0.1:${options.backend}; keepalive 2048; keepalive_requests 100000000; }
  server { listen 127.0.0.1:${port}${speaks} backlog=4096;
    ${tls ? `ssl_certificate ${tls.certificateFile}; ssl_certificate_key ${tls.keyFile};` : ''}
    ${locations.join('\n    ')}
    location / { ${proxyTo(options)} } } }
`;
};

const haproxyHead = `
global
  nbthread 1
  tune.h2.max-concurrent-streams 1000
  maxconn 8000
defaults
  mode http
  timeout connect 5s
  timeout client 300s
  timeout tunnel 300s
  timeout server 15s
  option http-keep-alive
  http-reuse always
`;

const haproxyHeaders = `
  option forwardfor
  http-request set-header X-Forwarded-Proto %[ssl_fc,iif(https,http)]
  http-request set-header X-Forwarded-Host %[req.hdr(host)]
  http-request set-header X-Request-ID %[uuid()]`;

/** Answers of a map for HAProxy: path beginnings and the backend. */
export const haproxyMap = (moreRoutes: number): string =>
  Array.from({ length: moreRoutes }, (_, i) => `/service-${i}/v1/ catalog\n`).join('');

export const haproxy = (options: PeerOptions & { readonly map?: string }): string => {
  const { tls, grpc } = options;
  const crypt = tls ? ` ssl crt ${tls.pem}${tls.http2 ? ' alpn h2,http/1.1' : ''}` : '';
  return `${haproxyHead}
frontend in
  bind 127.0.0.1:${options.port}${crypt}${grpc ? ' proto h2' : ''}
${haproxyHeaders}
  ${options.map === undefined ? 'default_backend catalog' : `use_backend %[path,map_beg(${options.map},catalog)]`}
backend catalog
  server one 127.0.0.1:${options.backend}${grpc ? ' proto h2' : ''}
`;
};

export const haproxyChain = (options: {
  readonly port: number;
  readonly backend: number;
  readonly publicKey: string;
}): string => `${haproxyHead}
frontend in
  bind 127.0.0.1:${options.port}
  stick-table type string len 64 size 100k expire 60s store http_req_rate(60s)
${haproxyHeaders}
  http-request set-var(txn.bearer) http_auth_bearer
  http-request set-var(txn.alg) var(txn.bearer),jwt_header_query('$.alg')
  http-request set-var(txn.iss) var(txn.bearer),jwt_payload_query('$.iss')
  http-request set-var(txn.sub) var(txn.bearer),jwt_payload_query('$.sub')
  http-request set-var(txn.role) var(txn.bearer),jwt_payload_query('$.role')
  http-request set-var(txn.exp) var(txn.bearer),jwt_payload_query('$.exp','int')
  http-request set-var(txn.now) date()
  http-request deny deny_status 401 unless { var(txn.alg) -m str RS256 }
  http-request deny deny_status 401 unless { var(txn.iss) -m str ${ISSUER} }
  http-request deny deny_status 401 unless { var(txn.bearer),jwt_verify(txn.alg,"${options.publicKey}") -m int 1 }
  http-request deny deny_status 401 if { var(txn.exp),sub(txn.now) -m int lt 0 }
  acl is_reader var(txn.role) -m str reader
  acl is_catalog path_beg /catalog/
  http-request deny deny_status 403 unless is_reader is_catalog METH_GET
  http-request track-sc0 var(txn.sub)
  http-request deny deny_status 429 if { sc_http_req_rate(0) gt 100000000 }
  http-request set-header X-User-ID %[var(txn.sub)]
  default_backend catalog
backend catalog
  balance random
  server v1 127.0.0.1:${options.backend} weight 90
  server v2 127.0.0.1:${options.backend} weight 10
`;

export const postScript = `wrk.method = "POST"
wrk.body = string.rep("x", 10240)
wrk.headers["Content-Type"] = "application/json"
`;
