# The image of a release: tm with the embedded server, from the wheel in dist/.
#   python -m build && docker build --tag tm . && docker run --rm tm version
FROM python:3.13-slim

RUN --mount=type=bind,target=/src \
    python -m pip install --no-cache-dir --disable-pip-version-check --root-user-action=ignore \
        --constraint /src/constraints.txt "$(echo /src/dist/*.whl)[local,mcp,scripts,sources]" \
    && useradd --create-home tm \
    && install --directory --owner=tm /work

USER tm
WORKDIR /work
ENTRYPOINT ["tm"]
CMD ["--help"]
