#!/usr/bin/env bash
# Start a load test, wait for its verdict and print what the exit code means.
#
#   gate.sh checkout.yaml
#   gate.sh checkout FAIL        # only FAIL stops the pipeline
#
# The server comes from TM_BASE_URL and TM_API_KEY. The exit code is that of tm.
set -uo pipefail

profile=${1:?usage: gate.sh PROFILE [VERDICTS]}
verdicts=${2:-FAIL,WARN}

tm runs start "$profile" --wait --fail-on "$verdicts"
code=$?

case $code in
  0) message="accepted" ;;
  2 | 3 | 4) message="refused by the verdict" ;;
  5 | 6 | 7) message="not decided; check the run before you start another" ;;
  8) message="the server did not start the run" ;;
  64 | 78) message="wrong command line or settings" ;;
  69 | 77) message="no access to the server" ;;
  *) message="tm did not reach a decision" ;;
esac
echo "load test of $profile: $message (exit code $code)" >&2
exit "$code"
