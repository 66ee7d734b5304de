-- As reading them will: nobody empties or rewrites them until this transaction ends.
lock table {{tables}} in access share mode;
