SELECT DISTINCT pg_describe_object(k.tableoid, k.oid, 0) FROM pg_trigger t JOIN pg_constraint k ON k.oid = t.tgconstraint
WHERE t.tgisinternal AND t.tgenabled <> 'O' AND k.contype = 'f' AND NOT @fleeting(k.conrelid) ORDER BY 1
