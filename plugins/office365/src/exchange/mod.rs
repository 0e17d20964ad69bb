//! Exchange over EWS: mailboxes, their folders and their items.
mod base64;
mod cursor;
mod faults;
mod names;
mod soap;
mod times;
mod xml;
