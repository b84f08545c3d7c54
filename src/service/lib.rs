//! The client side of meeting services.
