//! Where Transom differs from Kafka Connect on purpose.

use super::Difference;

/// A row of the table: why some differences stay, and which. Patterns may hold `*`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Known {
    pub(super) why: &'static str,
    /// Request line, aspect (`status`, `body` or a header), what Java has there, what Transom has there.
    pub(super) differences: &'static [[&'static str; 4]],
}

/// All of them.
pub(super) const KNOWN: [Known; 14] = [
    Known {
        why: "an error says that it is JSON, which Java's forget where JAX-RS makes them, and is JSON where Jetty's \
              are pages",
        differences: &[
            ["*", "content-type", "-", "application/json"],
            ["*", "content-type", "text/html*", "application/json"],
            ["*", "body", "no JSON", "{*"],
        ],
    },
    Known {
        why: "405 tells what would be allowed, as HTTP demands",
        differences: &[["*", "allow", "-", "*"]],
    },
    Known {
        why: "a text that is no Unicode is no text",
        differences: &[
            ["PUT /connector-plugins/FileStreamSource/config/validate", "status", "200", "500"],
            ["PUT /connector-plugins/FileStreamSource/config/validate", "body", "*", "*no JSON…*"],
        ],
    },
    Known {
        why: "a body that is missing, or null, is told as that, where Java tells of its null pointer",
        differences: &[[
            "*",
            "body",
            "*500,\"message\":\"Cannot invoke *",
            "*500,\"message\":\"The request has no body, *",
        ]],
    },
    Known {
        why: "names with slashes, percent signs, backslashes and dots simply work: Jetty takes none of them in a path",
        differences: &[
            ["GET /connectors/@*%*", "status", "400", "200"],
            ["DELETE /connectors/*%*", "status", "400", "204"],
            ["* /connectors/*%*", "body", "no JSON", "*"],
            ["POST /connectors", "location", "*/@a/b", "*/@a%2Fb"],
        ],
    },
    Known {
        why: "a semicolon is part of a name and begins no matrix parameter",
        differences: &[
            ["GET /connectors*;v=1", "status", "200", "404"],
            ["GET /connectors*;v=1", "body", "*", "*404*"],
        ],
    },
    Known {
        why: "bodies have a limit",
        differences: &[
            ["POST /connectors", "status", "500", "413"],
            ["POST /connectors", "body", "*", "*413*"],
        ],
    },
    Known {
        why: "a class that is missing or not there is the request's fault, and told without the names of Java's \
              exceptions",
        differences: &[
            ["PUT /connector-plugins/*/config/validate", "status", "500", "400"],
            ["PUT /connector-plugins/*/config/validate", "body", "*Exception: *", "*400*"],
            [
                "* /connectors/@made/config",
                "body",
                "*ConnectException: Failed to find any class*",
                "*Failed to find any class*",
            ],
            ["GET /connector-plugins/java.lang.String/config", "status", "500", "404"],
            [
                "GET /connector-plugins/java.lang.String/config",
                "body",
                "*Instantiation error*",
                "*Unknown plugin*",
            ],
        ],
    },
    Known {
        why: "Transom says which converters there are, and what its own regular expressions and plugins cannot take",
        differences: &[
            ["*", "*", "*Class * could not be found.*", "*Class * could not be found. There are*"],
            ["*", "*", "*Invalid regex: Unclosed character class*", "*has a class that is not closed*"],
            ["*", "batch.size.errors", "*", "*configuration batch.size: Value must be *"],
            ["PUT /connector-plugins/FileStreamSink/*", "file.errors", "[]", "*standard output*"],
        ],
    },
    Known {
        why: "Transom has no transformations, predicates and converters as plugins",
        differences: &[
            [
                "GET /connector-plugins?connectorsOnly=*",
                "body",
                "[{*FileStreamSink*FileStreamSource*transformation*",
                "[{*FileStreamSink*FileStreamSource*\"source\"*}]",
            ],
            [
                "PUT /connector-plugins/*/validate*",
                "*.recommended_values",
                "[\"org.apache.kafka.connect.*",
                "*",
            ],
        ],
    },
    Known {
        why: "what can be said to Kafka's clients is known to them, and has no definition here",
        differences: &[["PUT /connector-plugins/*/validate*", "*.override.*.definition", "{*", "null"]],
    },
    Known {
        why: "the configuration of a task names no Java class, and tells a plugin how many tasks there are",
        differences: &[["GET /connectors/*/tasks*", "body", "*\"task.class\"*", "[{*\"name\":\"@*"]],
    },
    Known {
        why: "a stopped connector has no task to restart; Java looks for the worker that has it",
        differences: &[
            ["POST /connectors/@lines/tasks/0/restart", "status", "409", "404"],
            ["POST /connectors/@lines/tasks/0/restart", "body", "*409*", "*Unknown task: @lines-0*"],
        ],
    },
    Known {
        why: "what Java's workers ask of each other is not asked here",
        differences: &[
            ["POST /connectors/*/tasks", "status", "400", "405"],
            ["POST /connectors/*/tasks", "body", "*missing required signature*", "*405*"],
            ["PUT /connectors/@lines/fence", "status", "400", "404"],
            ["PUT /connectors/@lines/fence", "body", "*missing required signature*", "*404*"],
            ["OPTIONS /connectors/@lines/tasks", "*", "*POST*", "*"],
        ],
    },
];

/// The row that covers a difference, and which of its patterns does.
pub(super) fn row_of(difference: &Difference<'_>) -> Option<(usize, usize)> {
    let seen = [difference.request.as_str(), difference.aspect.as_str(), &difference.java, &difference.ours];
    let covers = |pattern: &[&str; 4]| pattern.iter().zip(seen).all(|(pattern, text)| fits(pattern, text));
    let pattern_of = |row: &Known| row.differences.iter().position(covers);
    KNOWN.iter().enumerate().find_map(|(number, row)| Some((number, pattern_of(row)?)))
}

/// Whether all of the text is as the pattern says.
fn fits(pattern: &str, text: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(mut text) = text.strip_prefix(first) else { return false };
    let parts: Vec<_> = rest.split('*').collect();
    let (last, middle) = parts.split_last().expect("split gives one at least");
    for part in middle {
        let Some(found) = text.find(part) else { return false };
        text = &text[found + part.len()..];
    }
    text.len() >= last.len() && text.ends_with(last)
}
