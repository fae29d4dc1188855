# The Collector that `make collector` builds, for machines without access to the official image. It has no health check command.
FROM scratch
COPY root/ /
USER 65532:65532
ENTRYPOINT ["/otelcol"]
