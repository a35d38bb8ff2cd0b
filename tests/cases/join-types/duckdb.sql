-- What the six kinds give, by another engine. Each query is compared with the folder that is named above it.
-- inner
select * from read_csv('in/people.csv') p join (select "order", person, amount, City as "order city" from read_csv('in/orders.csv')) o on p.id = o.person;
-- left
select * from read_csv('in/people.csv') p left join (select "order", person, amount, City as "order city" from read_csv('in/orders.csv')) o on p.id = o.person;
-- right
select * from read_csv('in/people.csv') p right join (select "order", person, amount, City as "order city" from read_csv('in/orders.csv')) o on p.id = o.person;
-- outer
select * from read_csv('in/people.csv') p full join (select "order", person, amount, City as "order city" from read_csv('in/orders.csv')) o on p.id = o.person;
-- semi
select * from read_csv('in/people.csv') p semi join (select "order", person, amount, City as "order city" from read_csv('in/orders.csv')) o on p.id = o.person;
-- anti
select * from read_csv('in/people.csv') p anti join (select "order", person, amount, City as "order city" from read_csv('in/orders.csv')) o on p.id = o.person;
