-- With its ranges and the parts of batches; conflicts and rows that were put aside stay as a record.
delete from public.relay_progress;
