# The normalizer. Mount a folder at /logs that belongs to the user below.
FROM scratch
COPY root/ /
USER 65532:65532
ENV OUT_DIR=/logs GRPC_LISTEN=0.0.0.0:4317 HTTP_LISTEN=0.0.0.0:4318
EXPOSE 4317 4318
HEALTHCHECK --interval=2s --timeout=2s --start-period=60s CMD ["/cctf-normalizer", "healthcheck"]
ENTRYPOINT ["/cctf-normalizer"]
