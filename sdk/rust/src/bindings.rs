//! What `wit-bindgen` makes of the contract: a module for the imports, and one for each interface that
//! a plugin may export.
//!
//! The contract's three worlds share exported interfaces, and one crate cannot generate the same
//! export twice. So each interface is exported from a world of its own, defined here, and a plugin's
//! world is the union of those whose `export!` its macro calls: `wit-component` merges what they say
//! about themselves. `pub_export_macro` keeps an interface out of a component until then. Imports that
//! are not called are left out of the component too.

#![allow(missing_docs, reason = "generated")]

/// What plugins import, and the types of the contract.
pub mod imports {
    wit_bindgen::generate!({
        path: "../../wit",
        inline: "
            package transom:sdk;
            world imports {
                import transom:connect/types@1.0.0;
                import transom:connect/host@1.0.0;
                import transom:connect/net@1.0.0;
                import transom:connect/source-context@1.0.0;
                import transom:connect/sink-context@1.0.0;
            }
        ",
        world: "transom:sdk/imports",
        generate_all,
    });
}

macro_rules! export_world {
    ($module:ident, $world:literal, $wit:literal $(, $types:literal)?) => {
        pub mod $module {
            wit_bindgen::generate!({
                path: "../../wit",
                inline: $wit,
                world: $world,
                pub_export_macro: true,
                with: { $($types: crate::bindings::imports::transom::connect::types)? },
            });
        }
    };
}

export_world!(
    plugin,
    "transom:sdk/export-plugin",
    "package transom:sdk; world export-plugin { export transom:connect/plugin@1.0.0; }"
);
export_world!(
    connector,
    "transom:sdk/export-connector",
    "package transom:sdk; world export-connector { export transom:connect/connector@1.0.0; }",
    "transom:connect/types@1.0.0"
);
export_world!(
    source,
    "transom:sdk/export-source",
    "package transom:sdk; world export-source { export transom:connect/source-task@1.0.0; }",
    "transom:connect/types@1.0.0"
);
export_world!(
    sink,
    "transom:sdk/export-sink",
    "package transom:sdk; world export-sink { export transom:connect/sink-task@1.0.0; }",
    "transom:connect/types@1.0.0"
);
export_world!(
    transform,
    "transom:sdk/export-transform",
    "package transom:sdk; world export-transform { export transom:connect/transform@1.0.0; }",
    "transom:connect/types@1.0.0"
);
