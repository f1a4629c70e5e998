//! The one line that makes a crate a plugin.

/// Makes the crate a source plugin: `transom_sdk::source!(MySource);`
///
/// The plugin's name and version are the crate's; a build with `TRANSOM_PLUGIN_VERSION` set has that
/// version instead. Off WebAssembly it is only checked that the type is
/// a source, so that the crate builds and tests natively.
#[macro_export]
macro_rules! source {
    ($type:ty) => {
        $crate::__export!($crate::Source, SourcePlugin, $type, plugin connector source);
    };
}

/// Makes the crate a sink plugin: `transom_sdk::sink!(MySink);`. As [`source!`](crate::source!).
#[macro_export]
macro_rules! sink {
    ($type:ty) => {
        $crate::__export!($crate::Sink, SinkPlugin, $type, plugin connector sink);
    };
}

/// Makes the crate a transformation: `transom_sdk::transform!(MyTransform);`. As
/// [`source!`](crate::source!).
#[macro_export]
macro_rules! transform {
    ($type:ty) => {
        $crate::__export!($crate::Transform, TransformPlugin, $type, plugin transform);
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __export {
    ($kind:path, $plugin:ident, $type:ty, $($interface:ident)*) => {
        const _: () = {
            const fn check<T: $kind>() {}
            check::<$type>();
        };

        #[cfg(target_arch = "wasm32")]
        const _: () = {
            struct Crate;

            impl $crate::exports::Named for Crate {
                const NAME: &'static str = env!("CARGO_PKG_NAME");
                const VERSION: &'static str = match option_env!("TRANSOM_PLUGIN_VERSION") {
                    Some(version) => version,
                    None => env!("CARGO_PKG_VERSION"),
                };
            }

            type Plugin = $crate::exports::$plugin<Crate, $type>;

            $($crate::bindings::$interface::export!(Plugin with_types_in $crate::bindings::$interface);)*
        };
    };
}
