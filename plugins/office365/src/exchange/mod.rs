//! Exchange over EWS: mailboxes, their folders and their items.
mod base64;
mod xml;
