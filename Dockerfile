# One image for every Weir process; docker-compose.yml says which one a container runs.
FROM node:26-slim AS packages
WORKDIR /weir
COPY package.json package-lock.json .npmrc ./
# The image has Node itself, so the one that npm would bring is left out. Not `npm ci`: it insists on entries for every
# platform's optional packages, and the lock file has those of the platforms it was made on.
RUN npm install --omit=dev --omit=optional --ignore-scripts && npm cache clean --force

FROM node:26-slim
ENV NODE_ENV=production WEIR_HOME=/var/lib/weir
# Volumes take over the owner of the folder that they are mounted on.
RUN mkdir -p /var/lib/weir/nats /var/lib/weir/agents /run/weir/agents /run/weir/readers && chown -R node:node /var/lib/weir /run/weir
WORKDIR /weir
COPY --from=packages /weir/node_modules node_modules
COPY package.json ./
COPY engine engine
COPY adapters adapters
COPY services services
COPY policies policies
USER node
# A proxy's objects die young; V8's default of 16 MB only lets them lie about. What has grown old is collected when it has doubled, not fourfold.
ENTRYPOINT ["node", "--max-semi-space-size=4", "--heap-growing-percent=100"]
CMD ["services/cli/main.ts", "--help"]
