import Testing

/// The whole program from outside: processes, sockets and files as in service.
///
/// One test at a time: their loads would disturb each other's clocks.
@Suite(.serialized) struct EndToEnd {}
