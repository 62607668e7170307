-- Keeps a job's answer: the first one, whoever brings it.
-- ARGV: id, completed or failed, TTL of results in s, then names and values of the answer. Returns 1 if it was kept.
if not is_open(ARGV[1]) then
  return 0
end
finish(ARGV[1], ARGV[2], tonumber(ARGV[3]), unpack(ARGV, 4))
return 1
