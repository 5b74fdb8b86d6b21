-- wrk: asks for paths of a long list at random places, and prints what came of it as one line of
-- JSON, like walk.lua, which holds its list in memory.
--
--   wrk … -s scatter.lua URL -- LIST FIRST COUNT SEED
--
-- LIST has one path a line, all of one length. Asked for are COUNT lines from line FIRST on (0 is
-- the first).

local list, width, first, count, tail

function init(args)
  list = io.open(args[1], "rb")
  width = #list:read("*l") + 1
  first, count = tonumber(args[2]), tonumber(args[3])
  math.randomseed(tonumber(args[4]))
  tail = " HTTP/1.1\r\nHost: " .. wrk.headers["Host"] .. "\r\n\r\n"
end

function request()
  list:seek("set", (first + math.random(0, count - 1)) * width)
  return "GET " .. list:read(width - 1) .. tail
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
