// The same work for the peers, in their own words.

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
events { worker_connections 8192; }`;

const keepAlive = 'access_log off; keepalive_requests 100000000; keepalive_timeout 300s;';

export const backend = (folder: string, port: number): string => `${preamble(folder, 'backend')}
http { ${keepAlive} client_body_temp_path ${folder}/backend-body;
  server { listen 127.0.0.1:${port} backlog=4096;
    location / { default_type application/json; return 200 '${book}'; } } }
`;

export const nginx = (
  folder: string,
  port: number,
  backendPort: number,
): string => `${preamble(folder, 'nginx')}
http { ${keepAlive} client_body_temp_path ${folder}/nginx-body; proxy_temp_path ${folder}/nginx-proxy;
  client_body_buffer_size 64k;
  upstream catalog { server 127.0.0.1:${backendPort}; keepalive 2048; keepalive_requests 100000000; }
  server { listen 127.0.0.1:${port} backlog=4096;
    location / { proxy_pass http://catalog; proxy_http_version 1.1; proxy_set_header Connection "";
      proxy_set_header Host $host; proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
      proxy_set_header X-Forwarded-Proto $scheme; proxy_set_header X-Forwarded-Host $host;
      proxy_set_header X-Request-ID $request_id; } } }
`;

export const haproxy = (port: number, backendPort: number): string => `
global
  nbthread 1
  maxconn 8000
defaults
  mode http
  timeout connect 5s
  timeout client 300s
  timeout server 15s
  option http-keep-alive
  http-reuse always
frontend in
  bind 127.0.0.1:${port}
  option forwardfor
  http-request set-header X-Forwarded-Proto http
  http-request set-header X-Forwarded-Host %[req.hdr(host)]
  http-request set-header X-Request-ID %[uuid()]
  default_backend catalog
backend catalog
  server one 127.0.0.1:${backendPort}
`;

export const postScript = `wrk.method = "POST"
wrk.body = string.rep("x", 10240)
wrk.headers["Content-Type"] = "application/json"
`;
