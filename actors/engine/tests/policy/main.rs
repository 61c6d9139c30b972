//! Group Policy: the vectors, and the rules of the resultant set.

#[cfg(test)]
mod access;
#[cfg(test)]
mod carried;
#[cfg(test)]
mod common;
#[cfg(test)]
mod corp;
#[cfg(test)]
mod desired;
#[cfg(test)]
mod documents;
#[cfg(test)]
mod mapping;
#[cfg(test)]
mod operator;
#[cfg(test)]
mod order;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod reasons;
#[cfg(test)]
mod registry_pol;
#[cfg(test)]
mod settings;
#[cfg(test)]
mod vectors;
#[cfg(test)]
mod what_if;
