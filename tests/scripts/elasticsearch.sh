#!/bin/sh
# Prints the folder of a real Elasticsearch for tests: see search-node.sh. The last version whose server is on Maven
# Central in full; without X-Pack, so without data streams.
exec sh "$(dirname -- "$0")/search-node.sh" elasticsearch 7.17.28 2.17.1
