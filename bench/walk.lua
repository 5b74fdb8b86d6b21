-- wrk: walks a list of requests in random order, again and again, and prints what came of it as
-- one line of JSON.
--
--   wrk … -s walk.lua URL -- LIST SEED LIMIT
--
-- LIST has lines "path" or "path<TAB>first-last" (a Range). The order is a shuffle by SEED. At
-- LIMIT requests the load ends early, and says so.

local requests, count, at, sent, limit = {}, 0, 0, 0, 0

function init(args)
  for line in io.lines(args[1]) do
    local path, range = line:match("^([^\t]+)\t?(.*)$")
    count = count + 1
    local headers = { Host = wrk.headers["Host"] }
    if range ~= "" then headers["Range"] = "bytes=" .. range end
    requests[count] = wrk.format("GET", path, headers)
  end
  math.randomseed(tonumber(args[2]))
  for i = count, 2, -1 do
    local j = math.random(i)
    requests[i], requests[j] = requests[j], requests[i]
  end
  limit = tonumber(args[3])
end

function request()
  at = at % count + 1
  sent = sent + 1
  if sent > limit then wrk.thread:stop() end
  return requests[at]
end

function done(summary, latency)
  local e = summary.errors
  io.write(string.format(
    '\nwalked {"requests": %d, "bytes": %d, "microseconds": %d, "p99": %d,'
      .. ' "connect": %d, "read": %d, "write": %d, "status": %d, "timeout": %d}\n',
    summary.requests, summary.bytes, summary.duration,
    latency:percentile(99),
    e.connect, e.read, e.write, e.status, e.timeout))
end
