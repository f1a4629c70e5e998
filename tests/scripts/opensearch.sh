#!/bin/sh
# Prints the folder of a real OpenSearch for tests: see search-node.sh. Its core only: no security, no plugins.
exec sh "$(dirname -- "$0")/search-node.sh" opensearch 2.19.1 2.21.0
