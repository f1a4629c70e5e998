//! The keys of the configuration, as the manifest tells them.

use transom_sdk::{ConfigKey, Manifest};

pub(crate) fn manifest() -> Manifest {
    let manifest = Manifest::new("transom.EthereumSource")
        .alias("EthereumSource")
        .doc("Follows an Ethereum chain by JSON-RPC: blocks, transactions and logs, with reorganisations.")
        .capability("net")
        .config(ConfigKey::password("rpc.urls").doc(
            "Addresses of nodes of one chain, with commas between them. The next one is asked when one fails. Hidden \
             because providers put keys into them.",
        ))
        .config(
            ConfigKey::password("rpc.headers")
                .optional()
                .medium()
                .doc("Headers of every request, such as API keys: name:value, with | between two."),
        )
        .config(ConfigKey::long("chain.id").optional().min(1).medium().doc("The chain that it must be."))
        .config(
            ConfigKey::list("streams")
                .default("logs")
                .dependents(["topic.blocks", "topic.transactions", "topic.logs"])
                .doc("What becomes records: blocks, transactions, logs."),
        )
        .config(ConfigKey::string("topic.blocks").optional().doc("The topic of the blocks."))
        .config(ConfigKey::string("topic.transactions").optional().doc("The topic of the transactions."))
        .config(ConfigKey::string("topic.logs").optional().doc("The topic of the logs."));
    limits(pace(logs(manifest)))
}

fn logs(manifest: Manifest) -> Manifest {
    let list = |name, doc: &str| ConfigKey::list(name).default("").group("Logs").medium().doc(doc);
    manifest
        .config(list("logs.address", "Only logs of these contracts; empty: of all."))
        .config(list("logs.topic0", "Only logs whose first topic, the event, is one of these; empty: any."))
        .config(list("logs.topic1", "Only logs whose second topic is one of these; empty: any."))
        .config(list("logs.topic2", "Only logs whose third topic is one of these; empty: any."))
        .config(list("logs.topic3", "Only logs whose fourth topic is one of these; empty: any."))
        .config(
            ConfigKey::string("logs.abi")
                .optional()
                .group("Logs")
                .medium()
                .doc("The contracts' ABI, as JSON: by it logs are decoded."),
        )
        .config(list("logs.events", "Only these events of logs.abi, by name."))
}

fn pace(manifest: Manifest) -> Manifest {
    manifest
        .config(
            ConfigKey::string("start.block")
                .default("latest")
                .doc("The first block: a number, earliest, or latest for the next one that comes."),
        )
        .config(
            ConfigKey::long("confirmations")
                .default(0)
                .min(0)
                .max(1_000_000)
                .doc("How many blocks must follow a block before it is read."),
        )
        .config(ConfigKey::int("reorg.depth.max").default(64).min(1).max(2048).medium().doc(
            "How many blocks a reorganisation may replace. So many hashes are kept in the source offset.",
        ))
        .config(
            ConfigKey::string("reorg.records")
                .default("removed")
                .one_of(["removed", "tombstone"])
                .medium()
                .doc("How a record is taken back: by one that says so, or by a null."),
        )
        .config(
            ConfigKey::long("range.blocks").default(1000).min(1).max(1_000_000).medium().doc(
                "How many blocks a query for logs spans at most. Less when the node says it is too much.",
            ),
        )
        .config(
            ConfigKey::long("poll.interval.ms")
                .default(2000)
                .min(1)
                .max(86_400_000)
                .medium()
                .doc("How long to wait when there is no new block."),
        )
}

fn limits(manifest: Manifest) -> Manifest {
    let milliseconds =
        |name, default: u64| ConfigKey::long(name).default(default).min(1).max(86_400_000).low();
    manifest
        .config(
            ConfigKey::int("batch.size")
                .default(20)
                .min(1)
                .max(1000)
                .low()
                .doc("How many calls a request has at most; 1 for nodes that know no batches."),
        )
        .config(
            ConfigKey::double("requests.per.second")
                .default(0)
                .min(0)
                .medium()
                .doc("How many calls a second there may be; 0: as many as it takes."),
        )
        .config(milliseconds("request.timeout.ms", 30_000).doc("How long an answer may take."))
        .config(
            ConfigKey::int("response.max.bytes")
                .default(16 << 20)
                .min(1024)
                .low()
                .doc("The longest answer. For a longer one less is asked for."),
        )
        .config(milliseconds("backoff.ms", 500).doc("The wait after a failure; it doubles with each."))
        .config(milliseconds("backoff.max.ms", 30_000).doc("The longest wait after a failure."))
        .config(
            ConfigKey::boolean("validate.connection")
                .default(false)
                .low()
                .doc("Whether a configuration is checked by asking every node for its chain."),
        )
}
