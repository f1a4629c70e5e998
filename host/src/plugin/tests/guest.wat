;; A plugin whose functions are filled in by `guest.rs`. The allocator never frees; a test is short.
(component
  (import "transom:connect/types@1.0.0" (instance $types
      (type $e (record (field "code" u32) (field "message" string) (field "retry-after-ms" u32) (field "detail" string)))
      (export "error" (type (eq $e)))))
  (alias export $types "error" (type $error))
  (import "transom:connect/host@1.0.0" (instance $host
      (export "log" (func (param "level" u32) (param "message" string)))
      (export "should-stop" (func (result bool)))
      (export "secret" (func (param "name" string) (result (result string (error string)))))
      (export "metric" (func (param "name" string) (param "value" f64)))
      (export "request-reconfiguration" (func))))
  (import "transom:connect/sink-context@1.0.0" (instance $sink
      (export "seek" (func (param "offsets" string) (result (result (error string)))))
      (export "request-commit" (func))))
  (import "transom:connect/source-context@1.0.0" (instance $source
      (export "offsets" (func (param "partitions" string) (result (result string (error string)))))))
  (core module $memory
      (memory (export "memory") 2)
      (global $next (mut i32) (i32.const 65536))
      (func (export "realloc") (param i32 i32 i32 i32) (result i32)
          (global.get $next)
          (global.set $next (i32.and (i32.add (i32.add (global.get $next) (local.get 3)) (i32.const 7)) (i32.const -8)))))
  (core instance $memory (instantiate $memory))
  (core func $log (canon lower (func $host "log") (memory $memory "memory")))
  (core func $should-stop (canon lower (func $host "should-stop")))
  (core func $secret (canon lower (func $host "secret") (memory $memory "memory") (realloc (func $memory "realloc"))))
  (core func $metric (canon lower (func $host "metric") (memory $memory "memory")))
  (core func $reconfigure (canon lower (func $host "request-reconfiguration")))
  (core func $seek (canon lower (func $sink "seek") (memory $memory "memory") (realloc (func $memory "realloc"))))
  (core func $request-commit (canon lower (func $sink "request-commit")))
  (core func $offsets (canon lower (func $source "offsets") (memory $memory "memory") (realloc (func $memory "realloc"))))
  (core instance $imports
      (export "log" (func $log)) (export "should-stop" (func $should-stop)) (export "secret" (func $secret))
      (export "metric" (func $metric)) (export "reconfigure" (func $reconfigure))
      (export "seek" (func $seek)) (export "request-commit" (func $request-commit))
      (export "offsets" (func $offsets)))
  (core module $main
      (import "memory" "memory" (memory 2))
      (import "host" "log" (func $log (param i32 i32 i32)))
      (import "host" "should-stop" (func $should-stop (result i32)))
      (import "host" "secret" (func $secret (param i32 i32 i32)))
      (import "host" "metric" (func $metric (param i32 i32 f64)))
      (import "host" "reconfigure" (func $reconfigure))
      (import "host" "seek" (func $seek (param i32 i32 i32)))
      (import "host" "request-commit" (func $request-commit))
      (import "host" "offsets" (func $offsets (param i32 i32 i32)))
      (func $recurse (call $recurse) (call $recurse))
      (data (i32.const 1024) {{manifest}})
      (data (i32.const 8192) {{text}})
      {{start}}
      (func (export "describe") (result i32) {{describe}})
      {{connector_core}}
      {{task_core}})
  (core instance $main (instantiate $main (with "memory" (instance $memory)) (with "host" (instance $imports))))
  (func $describe (result string) (canon lift (core func $main "describe") (memory $memory "memory")))
  (instance $plugin (export "describe" (func $describe)))
  (export "transom:connect/plugin@1.0.0" (instance $plugin))
  {{connector_lift}}
  {{task_lift}})
