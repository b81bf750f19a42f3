# The one image: controller, courier and step. `make image` builds it (deploy/image).
#
# The programs come from the build machine (the release preset), not from a builder stage: what ships is, byte for byte,
# what the tests ran, and the build needs nothing but a base and its packages. The base must therefore be of the Debian
# release that the programs were linked on; the last RUN refuses anything else.
ARG BASE=debian:bookworm-slim
FROM ${BASE} AS packages

# The evlib is loaded at run time, so ldd does not name it. Of git's programs, and of what packages depend on, image-root
# copies what is used: no perl, no package manager, no setuid program.
RUN apt-get update -qq \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
        ca-certificates git git-lfs \
        libarchive13 libcjson1 libcurl4 libpcre2-8-0 libssl3 libuv1 libwebsockets17 libwebsockets-evlib-uv libyaml-0-2 zlib1g
COPY --chmod=0755 image-root /usr/local/sbin/
RUN image-root /image base-files base-passwd libc-bin bash coreutils dash grep sed ca-certificates git git-lfs \
        libarchive13 libcjson1 libcurl4 libpcre2-8-0 libssl3 libuv1 libwebsockets17 libwebsockets-evlib-uv libyaml-0-2 zlib1g \
    && echo 'dataops:x:65532:65532::/home/dataops:/usr/sbin/nologin' >>/image/etc/passwd \
    && echo 'dataops:x:65532:' >>/image/etc/group \
    && install -d -o 65532 -g 65532 -m 0700 /image/home/dataops \
    && install -d -o 65532 -g 65532 -m 0750 /image/etc/gitlab-runner

FROM scratch
ARG VERSION=0.0.0
ARG REVISION=unknown
# Before the files: a new revision brings a new time for all of them, so no layer may be taken from an earlier one.
LABEL org.opencontainers.image.title="dataops-runner" \
      org.opencontainers.image.description="Runs DataOps.live jobs as pods" \
      org.opencontainers.image.vendor="DataOps.live" \
      org.opencontainers.image.documentation="https://docs.dataops.live" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
COPY --from=packages /image /
COPY --chmod=0755 dataops-runner dataops-courier dataops-step /usr/local/bin/

# dataops-step brings everything along: it runs in any job's image, where no dynamic linker may be.
RUN set -e; \
    for program in runner courier; do \
        if ldd "/usr/local/bin/dataops-$program" | grep 'not found' >&2; then \
            echo "dataops-$program does not fit this base" >&2; exit 1; \
        fi; \
    done; \
    if ldd /usr/local/bin/dataops-step 2>/dev/null | grep '=>' >&2; then echo "dataops-step is not static" >&2; exit 1; fi

ENV CONFIG_FILE=/etc/gitlab-runner/config.toml HOME=/home/dataops
# The controller's user. Courier, the same image in a job's pod, is root there by its securityContext.
USER 65532:65532
WORKDIR /home/dataops
# metrics, /healthz, /readyz
EXPOSE 9252
STOPSIGNAL SIGTERM
ENTRYPOINT ["dataops-runner"]
CMD ["run"]
