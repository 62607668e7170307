-- Says that a worker still has what it took.
-- ARGV: worker, entries. Returns the entries that are no longer its own: taken over, or the job was cancelled.
local worker, lost = ARGV[1], {}
ensure_group()
for i = 2, #ARGV do
  if is_held(ARGV[i], worker) then
    redis.call('XCLAIM', jobs, GROUP, worker, 0, ARGV[i], 'JUSTID')
  else
    lost[#lost + 1] = ARGV[i]
  end
end
return lost
