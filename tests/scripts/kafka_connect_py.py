"""kafka-connect-py as a library: one call of it, or what there is to call.

    kafka_connect_py.py URL METHOD KEYWORDS   calls a method of KafkaConnect; what it returns, or raises, as text
    kafka_connect_py.py                       the names of all commands and of all public methods
"""

import json
import sys

from kafka_connect import KafkaConnect
from kafka_connect.cli import cli

if len(sys.argv) == 1:
    methods = [name for name in vars(KafkaConnect) if not name.startswith("_")]
    print(json.dumps({"kc": sorted(cli.commands), "call": sorted(methods)}))
    sys.exit()

url, method, keywords = sys.argv[1:]
try:
    print(json.dumps(getattr(KafkaConnect(url), method)(**json.loads(keywords))))
except Exception as error:
    print(f"{type(error).__name__}: {error}")
    sys.exit(1)
