--[[
  Lets leases that are still in force last longer, counted from now.

  ARGV[2]  how long, ms
  ARGV[3]  lease id                            \ in turn, for
  ARGV[4]  " " and how far the work is, or ""  / each lease

  Returns {the new deadline, ms; for each lease id 1, or 0 (the lease was lost)}
]]

--include common
--include before
local deadline = now + ARGV[2]
local answer = { deadline }
for i = 3, #ARGV, 2 do
  local ends = call('ZSCORE', leases, ARGV[i])
  if ends and tonumber(ends) > now then
    call('ZREM', leases, ARGV[i])
    call('ZADD', leases, deadline, ARGV[i])
    entry[#entry + 1] = 'renew'
    entry[#entry + 1] = ARGV[i] .. ARGV[i + 1]
    answer[#answer + 1] = 1
  else
    answer[#answer + 1] = 0
  end
end
if #entry > 0 then
  entry[#entry + 1] = 'until'
  entry[#entry + 1] = deadline
end
local memo = ''
--include close
return answer
