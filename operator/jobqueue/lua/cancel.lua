-- Ends a job that has no answer yet. ARGV: id, TTL of results in s. Returns 1 if it did.
if not is_open(ARGV[1]) then
  return 0
end
finish(ARGV[1], 'cancelled', tonumber(ARGV[2]))
return 1
