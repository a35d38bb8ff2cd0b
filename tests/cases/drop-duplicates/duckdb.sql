-- whole
select distinct * from read_csv('in/a.csv');
-- part
select distinct a, c from read_csv('in/a.csv');
