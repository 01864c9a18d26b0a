# The gateway: docker build -t hono-kafka-consume . && docker run -p 8000:8000 hono-kafka-consume
# Without settings it serves a demo; see compose.yaml for one beside a Kafka.
# It writes no files: docker run --read-only --cap-drop ALL works, too.

FROM node:20-bookworm-slim AS build
# What native/system.ts would install by itself, as a layer of its own.
RUN apt-get update \
 && apt-get install -y --no-install-recommends \
    bash ca-certificates g++ libcurl4-openssl-dev libssl-dev libzstd-dev make zlib1g-dev \
 && rm -rf /var/lib/apt/lists/*
RUN npm install --global bun@1.4.5
WORKDIR /build
# The addon comes before the sources, so that a change of them does not compile it again.
COPY package.json bun.lock ./
COPY native native
RUN bun native/setup.ts
COPY . .
RUN bun run package && npm pack ./dist --silent
WORKDIR /app
RUN echo '{"type": "module"}' > package.json \
 && bun add hono@"$(bun -p 'require("/build/package.json").dependencies.hono')" /build/*.tgz \
 && bunx hono-kafka-consume setup \
# The sources of the addon, which it no longer needs.
 && rm -rf node_modules/@confluentinc/kafka-javascript/deps
RUN cp "$(npm root --global)/bun/bin/bun.exe" /usr/local/bin/bun-itself

FROM debian:bookworm-slim
# The addon's libraries, the certificates of authorities, and curl for the health check.
RUN apt-get update \
 && apt-get install -y --no-install-recommends \
    ca-certificates curl libcurl4 libssl3 libstdc++6 libzstd1 zlib1g \
 && rm -rf /var/lib/apt/lists/*
COPY --from=build /usr/local/bin/bun-itself /usr/local/bin/bun
COPY --from=build /app /app
WORKDIR /app
# nobody, by number: Kubernetes checks that it is not root.
USER 65534:65534
# The Admin API has no login: it stays inside the container unless ADMIN_HOST says otherwise.
EXPOSE 8000 8443
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s \
  CMD curl --silent --fail --output /dev/null "http://127.0.0.1:${PORT:-8000}/healthz"
# The gateway itself, not by way of a script: signals reach it.
ENTRYPOINT ["bun", "node_modules/hono-kafka-consume/src/server.js"]
