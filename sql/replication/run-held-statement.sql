do $$
declare
  code text;
  complaint text;
begin
  execute current_setting('homeport.statement');
exception when others then
  get stacked diagnostics code = returned_sqlstate, complaint = message_text;
  -- Raised anew, because the original error's context repeats the statement.
  raise exception using errcode = code, message = complaint;
end
$$;
